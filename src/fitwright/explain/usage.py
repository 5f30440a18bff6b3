"""FW100 to FW149: the command line, the contract, the data. Exit code 2."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.explain.explanation import Explanation

USAGE: Mapping[str, Explanation] = {
    "FW101": Explanation(
        title="This folder is not a run, or the run has not come that far.",
        why="A run keeps its records under runs/<name>/. Commands such as tune and report read "
        "them, and the one they need is not there.",
        fix="Give the folder that `fitwright fit` printed. If the run stopped early, go on with "
        "`fitwright tune` first.",
        example="fitwright tune runs/digits-1",
    ),
    "FW102": Explanation(
        title="A record of this run cannot be read by this version.",
        why="The file was changed by hand, cut off, or written by another version of Fitwright.",
        fix="Start a new run; the old folder is left as it is.",
        example="fitwright fit contract.yaml",
    ),
    "FW103": Explanation(
        title="A quantity on the command line cannot be read or is out of range.",
        why="Times need a unit; factors and quantities of the ledger must be finite and above 0.",
        fix="Write the unit; use the factor 1 for a technique that is not used.",
        example="fitwright fit contract.yaml --time 5m\n"
        "fitwright ledger --k 4 --m 2 --n 4 --c 2 --capacity 1TFLOPS",
    ),
    "FW104": Explanation(
        title="The model has changed since this run began.",
        why="Trials of another model say nothing about this one, so they are never mixed.",
        fix="Start a new run.",
        example="fitwright fit contract.yaml",
    ),
    "FW105": Explanation(
        title="This run has nothing to ship yet.",
        why="A bundle is written once a candidate was verified against the original.",
        fix="Go on with the run.",
        example="fitwright tune runs/digits-1",
    ),
    "FW121": Explanation(
        title="Another process is at work on this run.",
        why="Two searches in one folder would do the same work twice and disturb each other's "
        "timings.",
        fix="Wait until the other one has ended: the message names it. A killed one lets go at "
        "once; one on another machine that shares the database, 30 s after its last sign of life.",
        example="fitwright tune runs/digits-1",
    ),
    "FW106": Explanation(
        title="No error has this code.",
        why="Codes are FW and three digits, as printed in square brackets.",
        fix="Copy the code from the message, or list all of them.",
        example="fitwright explain",
    ),
    "FW107": Explanation(
        title="The ledger's calculator cannot read a quantity.",
        why="Capacity, storage and energy need their units.",
        fix="Write them as in the example.",
        example="fitwright ledger --k 4 --m 2 --n 4 --c 2 --capacity 1TFLOPS --storage 200GB "
        "--energy 500W",
    ),
    "FW108": Explanation(
        title="The folder for the bundle exists already.",
        why="A bundle is written whole into a new folder, so that it never holds stray files.",
        fix="Name a folder that does not exist yet.",
    ),
    "FW109": Explanation(
        title="The bundle is not what its manifest says.",
        why="The manifest holds a hash of every file; one is missing, changed or unknown.",
        fix="Write the bundle again from its run.",
        example="fitwright tune runs/digits-1",
    ),
    "FW110": Explanation(
        title="The contract file cannot be opened.",
        why="There is no such file, it may not be read, or it is a folder.",
        fix="Check the path and the permissions; name the YAML file itself.",
        example="fitwright fit contract.yaml",
    ),
    "FW111": Explanation(
        title="The file is not a contract.",
        why="A contract is a UTF-8 text file under 1 MB with 'key: value' lines. Models, pages "
        "saved from a browser, empty files and files in other encodings are told apart by their "
        "content.",
        fix="Name the contract, or hand the model to `fitwright fit` directly.",
        example="model: model.onnx\nlimits:\n  latency_p99: 10 ms",
    ),
    "FW112": Explanation(
        title="The contract is not YAML that Fitwright reads.",
        why="A syntax error, the same key twice, a key that is not text, or an anchor (&, *). "
        "Anchors are refused because a few of them can describe a document of any size.",
        fix="Correct the line named in the message; put odd text in quotes.",
        example="traffic: {scenario: server, rate: 200/s}",
    ),
    "FW113": Explanation(
        title="The contract has unknown keys or values that do not fit.",
        why="Unknown keys are errors, since a misspelt limit would otherwise be no limit at all. "
        "Every quantity carries its unit, so that no number is read in the wrong one.",
        fix="Correct every line listed; each one names the key, what is wrong and the value.",
        example="limits:\n  latency_p99: 10 ms\n  peak_memory: 512 MiB\n  accuracy: {drop: 0.01}",
    ),
    "FW114": Explanation(
        title="The contract asks for what no model and no machine could keep.",
        why="For example more throughput than requests arrive, or a floor that the metric can "
        "never reach.",
        fix="Change one of the two lines that contradict each other.",
        example="traffic: {scenario: server, rate: 200/s}\nlimits: {throughput: 200/s}",
    ),
    "FW115": Explanation(
        title="Accuracy is asked for, but the data has no labels.",
        why="Accuracy is judged against labels. Without them Fitwright checks that the outputs "
        "agree with those of the original model.",
        fix="Add the labels as one more array, or leave the accuracy limit out and set "
        "'agreement:' if its defaults do not suit.",
        example="data: {source: data.npz, labels: labels}\n"
        "# or\nagreement: {relative_l2: 0.02, top1: 0.995}",
    ),
    "FW116": Explanation(
        title="The contract names an input, output or size that the model does not have.",
        why="'inputs', 'shapes' and 'data.output' refer to names inside the model file.",
        fix="Use the names that `fitwright analyze` lists.",
        example="fitwright analyze model.onnx",
    ),
    "FW117": Explanation(
        title="The metric is unknown, or must be stated for this model.",
        why="Whole-number labels mean 'accuracy' only when the output is (samples, classes); "
        "float labels mean 'mse'. Anything else has to be said.",
        fix="State data.metric: accuracy, f1, roc_auc, mse, top1_agreement, cosine or your own "
        "function of (outputs, labels).",
        example="data: {source: data.npz, metric: f1}\n"
        "data: {source: data.npz, metric: mymodule:score}",
    ),
    "FW118": Explanation(
        title="The model cannot take as many samples in a query as the contract says.",
        why="Every input has a fixed first size, so 'traffic.batch' would change what is counted "
        "and not what runs.",
        fix="State the batch that the model has, or export it with a free first size.",
        example="traffic: {batch: 4}",
    ),
    "FW119": Explanation(
        title="The contract names a device that is not known here.",
        why="'devices' lists where the model may run: 'local', which is this machine, ids of the "
        "catalogue, device files of your own, and filters.",
        fix="Write one of the ids that the message suggests, or one that `fitwright devices list` "
        "shows.",
        example="devices: [local, l4, mine.yaml, {kind: [gpu], available: rent}]",
    ),
    "FW124": Explanation(
        title="A filter under 'devices' lets no device through.",
        why="Every key of a filter must hold: kind, vendor, and available to rent or to buy.",
        fix="Leave a key out, or correct the vendor; `fitwright devices list` shows all devices.",
        example="devices: [{kind: [cpu, gpu], available: rent}]",
    ),
    "FW125": Explanation(
        title="The contract leaves out this machine, and only this machine can be measured.",
        why="Fitwright predicts for any device of the catalogue and chooses among them, but it "
        "runs models only where it runs itself.",
        fix="Compare the devices with `fitwright select`; to fit the model here, add local.",
        example="devices: [local, l4]",
    ),
    "FW122": Explanation(
        title="A device's file cannot be used.",
        why="A device of your own is one YAML file. Each value states its unit, how far to "
        "trust it and where it is from; unknown keys, missing units and values that are not "
        "above 0 are refused. The message lists everything that is wrong, with its path.",
        fix="Correct the lines listed, then check the file again.",
        example="fitwright devices new mine.yaml\nfitwright devices check mine.yaml",
    ),
    "FW123": Explanation(
        title="There is no link of that name in the catalogue.",
        why="Links join devices to each other, to their host and over a network; the message "
        "names the one that comes nearest, or all.",
        fix="Give one of the names.",
        example="nvlink4, pcie5-x16, infiniband-ndr",
    ),
    "FW127": Explanation(
        title="There is no cluster of that name in the catalogue.",
        why="A cluster is so many nodes of one device with their links and their network; the "
        "message names the one that comes nearest, or all.",
        fix="Give one of the names.",
        example="dgx-h100, tpu-v5e-pod, aws-p5",
    ),
    "FW128": Explanation(
        title="There is no backend of that name in the catalogue.",
        why="The support matrix says which backend runs which operators in which number format "
        "on which device; the message names the one that comes nearest, or all.",
        fix="Give one of the names.",
        example="onnxruntime, openvino, tensorrt",
    ),
    "FW129": Explanation(
        title="The input named by padding_mask cannot be a mask.",
        why="A mask tells for each token of each sample whether it is the query's own, so it has "
        "the shape (batch, tokens) and holds whole numbers or truth values, zero for padding.",
        fix="Name the input that is zero where a query is padding, or remove the line.",
        example="padding_mask: attention_mask",
    ),
    "FW126": Explanation(
        title="The file for a new device cannot be written.",
        why="`fitwright devices new` never overwrites a file.",
        fix="Give the name of a new file in a folder that exists.",
        example="fitwright devices new mine.yaml",
    ),
}

DATA: Mapping[str, Explanation] = {
    "FW120": Explanation(
        title="The data breaks a promise of constant_inputs.",
        why="An input listed under constant_inputs is taken to hold that value in every query, "
        "and what hangs on it alone is left out of the model. The data holds other values, so "
        "the model that ships would answer wrongly.",
        fix="Remove the promise, or leave out the samples that real use does not send either.",
        example="constant_inputs: {attention_mask: 1}",
    ),
    "FW130": Explanation(
        title="The data file cannot be opened.",
        why="'data.source' is relative to the contract's folder. There is no such file, or it "
        "may not be read.",
        fix="Check the path; a function is written package.module:function.",
        example="data: {source: data.npz}",
    ),
    "FW131": Explanation(
        title="The data file is not a sound .npz file.",
        why="Data is read as written by numpy.savez: one array per model input. This file is "
        "something else, is cut off, or an array declares another size than it holds.",
        fix="Write it again with numpy.",
        example="numpy.savez('data.npz', image=images, labels=labels)",
    ),
    "FW132": Explanation(
        title="An array holds Python objects, or is no array.",
        why="Objects in array files are Python code in disguise and are never loaded.",
        fix="Convert to plain numbers before saving; rows must all have the same length.",
        example="numpy.savez('data.npz', x=numpy.asarray(rows, dtype='float32'))",
    ),
    "FW133": Explanation(
        title="There is no metric of that name.",
        why="Only the metrics in the message are built in.",
        fix="Use one of them or name your own function.",
        example="data: {source: data.npz, metric: mymodule:score}",
    ),
    "FW134": Explanation(
        title="The metric raised an error.",
        why="Your own function is called with (outputs, labels), numpy arrays of all samples; "
        "a built-in one needs labels that suit it.",
        fix="Try the function alone on a few arrays of these shapes.",
        example="def score(outputs, labels):\n"
        "    return float((outputs.argmax(-1) == labels).mean())",
    ),
    "FW135": Explanation(
        title="The metric did not return one number.",
        why="A metric is compared with a limit, so it must be a single number.",
        fix="Return a float, for instance the mean over the samples.",
        example="return float(values.mean())",
    ),
    "FW136": Explanation(
        title="The metric gave NaN or infinity.",
        why="Such a value can be compared with nothing. roc_auc needs at least two classes in "
        "the labels; a mean over nothing is NaN.",
        fix="Check the labels, or the metric on these labels.",
    ),
    "FW137": Explanation(
        title="The model has no output of the name in data.output.",
        why="The metric reads one output: the first, or the one named.",
        fix="Use a name that `fitwright analyze` lists, or leave data.output out.",
        example="data: {source: data.npz, output: logits}",
    ),
    "FW138": Explanation(
        title="The shape of the labels does not suit the metric.",
        why="Class metrics take one whole number per sample; mse and cosine take labels of the "
        "same shape as the output.",
        fix="Reshape the labels or choose another metric.",
        example="data: {source: data.npz, metric: mse}",
    ),
    "FW139": Explanation(
        title="There are not as many labels as outputs.",
        why="The first two axes of an output are queries and samples per query; each sample "
        "needs one label.",
        fix="Give one label per sample, or name the right output in data.output.",
    ),
    "FW140": Explanation(
        title="Labels and samples do not go together.",
        why="Every sample needs exactly one label, and class labels count from 0 up to the "
        "number of classes of the output.",
        fix="Correct the array of labels, or state data.metric when they are no classes.",
        example="numpy.savez('data.npz', image=images, labels=labels)  # equal lengths",
    ),
    "FW141": Explanation(
        title="The data is too large for this machine's memory.",
        why="All samples are held in memory while candidates are judged. The size is read from "
        "the file's header, before anything is loaded.",
        fix="Save fewer samples; a few hundred to a few thousand are enough.",
        example="numpy.savez('data.npz', image=images[:2000], labels=labels[:2000])",
    ),
    "FW142": Explanation(
        title="Your own function could not be imported or called.",
        why="'package.module:function' is imported with the contract's folder first on the path. "
        "The message holds what it raised.",
        fix="Try it in Python from the contract's folder. A data function takes nothing and "
        "returns a mapping from names to arrays.",
        example="def load():\n    return {'image': images, 'labels': labels}",
    ),
    "FW143": Explanation(
        title="An array that is needed is missing from the data.",
        why="Arrays are matched with model inputs by name. A lone array serves a model with a "
        "lone input whatever its name.",
        fix="Save the arrays under the names of the inputs; name the labels in data.labels.",
        example="numpy.savez('data.npz', input_ids=ids, attention_mask=mask, labels=y)",
    ),
    "FW144": Explanation(
        title="The shape of an array does not fit the model's input.",
        why="The first axis counts samples (or whole queries); the rest must be the input's "
        "shape at the sizes to optimise for.",
        fix="Reshape the array, or bind the free sizes to what the data has.",
        example="shapes: {sequence: 128}\ntraffic: {batch: 8}",
    ),
    "FW145": Explanation(
        title="The type of an array does not fit, or is not supported.",
        why="float64 becomes float32 and int64 becomes int32 when every value fits. Whole "
        "numbers are not turned into floats: whether pixels must be scaled first, nobody knows.",
        fix="Convert as the model expects, then save.",
        example="x = (pixels / 255).astype('float32')",
    ),
    "FW146": Explanation(
        title="The data holds NaN or infinity.",
        why="One such value spoils calibration and every comparison with the original.",
        fix="Clean the data; the message names the first place.",
        example="numpy.argwhere(~numpy.isfinite(x))",
    ),
    "FW147": Explanation(
        title="Inputs with different numbers of queries, or with none.",
        why="A query takes one row of every input.",
        fix="Stack the queries along the first axis of every input.",
    ),
    "FW148": Explanation(
        title="A tensor has a type that cannot be passed to a child process.",
        why="Models run in child processes; numbers and booleans travel through shared memory, "
        "text and objects do not.",
        fix="Move text handling out of the model, or add a Cast to float32 at that place.",
    ),
    "FW149": Explanation(
        title="There are too few samples.",
        why="Calibration and judging must not share samples, so at least two queries are needed. "
        "How many more decides how narrow the interval of the accuracy gets: about 1,000 for "
        "one or two per cent.",
        fix="Give more samples, or leave 'data:' out to use synthetic inputs.",
        example="data: {source: data.npz, calibration_share: 0.2}",
    ),
    "FW152": Explanation(
        title="An array does not fit the input of the model it was given to.",
        why="Names, element types and shapes must be those of the model; nothing is converted "
        "or reused silently.",
        fix="Give one array for each input of the model, as the message lists them.",
    ),
    "FW150": Explanation(
        title="A table of cases cannot be used.",
        why="`fitwright validate` reads one case a line: what was run on which device, and the "
        "figure that was published or measured.",
        fix="Give a CSV file with the columns case, domain, device_id, inputs (a JSON object), "
        "metric, measured and unit.",
        example="fitwright validate --cases cases.csv --json",
    ),
    "FW151": Explanation(
        title="There is no recipe of that name.",
        why="Recipes are the adaptations that Fitwright knows; the message lists them.",
        fix="Give one of the names listed.",
        example="fitwright adapt contract.yaml --recipe int8_static",
    ),
}
