"""FW200 to FW249: the model file. Exit code 3."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.explain.explanation import Explanation

_EXPORT = "torch.onnx.export(model, args, 'model.onnx', dynamo=True)"

MODEL: Mapping[str, Explanation] = {
    "FW200": Explanation(
        title="There is no such model file.",
        why="In a contract the path is relative to the contract's folder.",
        fix="Check the path that the message names.",
        example="model: models/resnet.onnx",
    ),
    "FW201": Explanation(
        title="The model is a folder.",
        why="This version reads single ONNX files (with their data files beside them).",
        fix="Name the .onnx file inside it.",
        example="fitwright fit model/model.onnx",
    ),
    "FW202": Explanation(
        title="The model file is empty.",
        why="A download or an export was cut off.",
        fix="Export or download it again, then check its size.",
    ),
    "FW203": Explanation(
        title="The model file is a web page.",
        why="The page that shows the file, or a login page, was saved instead of the file.",
        fix="Use the 'raw' or 'download' link.",
    ),
    "FW204": Explanation(
        title="The model file is a Git LFS pointer.",
        why="The repository keeps large files elsewhere, and only the pointer was fetched.",
        fix="Fetch the files themselves.",
        example="git lfs install && git lfs pull",
    ),
    "FW205": Explanation(
        title="The file is something other than an ONNX model.",
        why="Its first bytes belong to another format, such as a zip, a pickle or safetensors.",
        fix="Export the model to ONNX.",
        example=_EXPORT,
    ),
    "FW206": Explanation(
        title="The file is not an ONNX model.",
        why="It holds no graph that can be recognised.",
        fix="Name the .onnx file of the model.",
    ),
    "FW207": Explanation(
        title="The model file is cut off or damaged.",
        why="It begins like an ONNX file and cannot be decoded to the end.",
        fix="Export or download it again and compare the size.",
    ),
    "FW208": Explanation(
        title="The model or its data may not or cannot be read.",
        why="A permission is missing or the disk reports an error.",
        fix="Check the permissions of the file and of its folders.",
        example="chmod u+r model.onnx",
    ),
    "FW209": Explanation(
        title="The model file is over 2 GiB.",
        why="The format of ONNX files ends there; larger weights are stored beside the file.",
        fix="Save the weights as external data.",
        example="onnx.save(model, 'model.onnx', save_as_external_data=True)",
    ),
    "FW210": Explanation(
        title="The model asks for data outside its folder.",
        why="A model file could otherwise make Fitwright read any file of this machine.",
        fix="Save the model again with its data beside it.",
        example="onnx.save(model, 'model.onnx', save_as_external_data=True)",
    ),
    "FW211": Explanation(
        title="The model's data is reached through a link.",
        why="A symbolic or hard link can bring any file of this machine into the folder.",
        fix="Replace the link by a copy of the file.",
        example="cp --dereference weights.bin copy.bin && mv copy.bin weights.bin",
    ),
    "FW212": Explanation(
        title="The model's data file is missing or is no regular file.",
        why="Weights of large models lie in a second file that must travel with the first.",
        fix="Copy it into the model's folder.",
    ),
    "FW213": Explanation(
        title="The model asks for a part of its data file that is not there.",
        why="Offset or length do not fit the data file: the two do not belong together.",
        fix="Export or download both again.",
    ),
    "FW214": Explanation(
        title="A constant has a shape, type or content that cannot be.",
        why="Sizes are checked before anything is allocated, so that a damaged or hostile file "
        "cannot fill the memory.",
        fix="Export the model again.",
    ),
    "FW220": Explanation(
        title="The model uses operators that no backend here has.",
        why="Operators of a domain outside ONNX and ONNX Runtime need code that is not here.",
        fix="Export with standard operators, or with the custom one as a model-local function.",
        example=_EXPORT,
    ),
    "FW221": Explanation(
        title="The model uses a newer operator set than this version reads.",
        why="Backends refuse, or worse misread, operators newer than themselves.",
        fix="Export with the operator set named in the message, or convert the model.",
        example="onnx.version_converter.convert_version(model, 21)",
    ),
    "FW222": Explanation(
        title="The model has a newer file version than this version reads.",
        why="The IR version is the version of the file format.",
        fix="Lower it (most models need nothing of the newer format) or use an older exporter.",
        example="model.ir_version = 10; onnx.save(model, 'model.onnx')",
    ),
    "FW223": Explanation(
        title="A node names no operator, or an operator set has not exactly one version.",
        why="What such a node means is open.",
        fix="Export the model again and check it with onnx.checker.",
        example="onnx.checker.check_model('model.onnx')",
    ),
    "FW224": Explanation(
        title="An operator reads a value that nothing makes.",
        why="A node or a constant was removed without the ones that need it.",
        fix="Export the model again, or repair the tool that edited it.",
        example="onnx.checker.check_model('model.onnx')",
    ),
    "FW225": Explanation(
        title="A name is used twice.",
        why="In ONNX every value is made exactly once; which of two is meant is open.",
        fix="Rename one of them or export the model again.",
    ),
    "FW226": Explanation(
        title="The operators are out of order.",
        why="ONNX requires every value to be made before it is read.",
        fix="Sort the nodes of the graph.",
        example="m = onnx_ir.load('model.onnx'); m.graph.sort(); onnx_ir.save(m, 'sorted.onnx')",
    ),
    "FW227": Explanation(
        title="Nothing makes one of the model's outputs.",
        why="The output's name is misspelt, or the node that made it was removed.",
        fix="Export the model again.",
    ),
    "FW228": Explanation(
        title="The model computes nothing.",
        why="It has no operators or no outputs.",
        fix="Export the model itself, not only its weights.",
        example=_EXPORT,
    ),
    "FW229": Explanation(
        title="Functions of the model call themselves.",
        why="ONNX forbids recursion; expanding it would never end.",
        fix="Export the model again.",
    ),
    "FW230": Explanation(
        title="The model becomes far too large when its functions are expanded.",
        why="A few kilobytes of nested functions can describe billions of operators. The size is "
        "counted by arithmetic and never by expanding.",
        fix="If the model is yours, export it without nested functions.",
    ),
    "FW231": Explanation(
        title="A size of the model is left open.",
        why="Operators are counted and memory is planned at definite sizes. The first axis is "
        "taken for the batch; every other free size must be bound.",
        fix="Bind it in the contract, or give data: its arrays bind the sizes too.",
        example="shapes: {sequence: 128}",
    ),
    "FW232": Explanation(
        title="A size of the model is left open and has no name.",
        why="Without a name nothing in the contract can refer to it.",
        fix="Export the model with that size fixed or named.",
        example="torch.onnx.export(..., dynamic_shapes={'x': {0: 'batch', 1: 'sequence'}})",
    ),
    "FW233": Explanation(
        title="An input or output of the model is not a tensor.",
        why="Sequences, maps and optionals can be neither fed nor compared here. Classifiers "
        "exported from scikit-learn often end in a ZipMap, which makes maps.",
        fix="Export the model with tensors only.",
        example="to_onnx(model, x, options={'zipmap': False})",
    ),
    "FW234": Explanation(
        title="The model cannot be edited: it holds something ONNX does not define.",
        why="Adapting writes the graph anew, and what the standard does not define would be lost.",
        fix="Export the model again with a current exporter.",
    ),
    "FW240": Explanation(
        title="An adaptation changed the model's inputs or outputs.",
        why="An adapted model must take the place of the original.",
        fix="This is a fault of that adaptation; the run goes on without it.",
    ),
    "FW241": Explanation(
        title="An adaptation wrote a newer operator set than the backends read.",
        why="The tool that quantises raised the version of the model.",
        fix="Export the original with a lower operator set, or go on without that adaptation.",
    ),
    "FW245": Explanation(
        title="Reading the model was stopped.",
        why="Models are read in a child process with a clock and a memory limit. A sound model "
        "takes seconds; one that does not is damaged or made to exhaust its reader.",
        fix="Export it again, without nested functions. For very large models free some memory.",
    ),
    "FW246": Explanation(
        title="The original model does not run.",
        why="Every adaptation is compared with the original, so the original must run within "
        "the limits of time and memory.",
        fix="Run it alone with the backend; give inputs that it was made for.",
        example="inputs:\n  image: {low: 0, high: 1}",
    ),
    "FW249": Explanation(
        title="The batch of a query is not cut into parts.",
        why="Parts of a query can run at once, each on cores of its own, where the model computes "
        "every sample by itself. Here an operator works across the first axis, or may; or a "
        "constant holds something else for each sample.",
        fix="Nothing needs to be done: the run goes on with whole queries.",
    ),
    "FW248": Explanation(
        title="The model cannot be joined at several lengths.",
        why="The lengths of one file share their weights and are chosen by the mask of a query. "
        "That takes operators of opset 13 on, no control flow of the model's own, and shapes in "
        "which the number of tokens is an axis.",
        fix="Nothing needs to be done: the run goes on with one length. To have several, export "
        "the model with a newer opset and a free length of its inputs.",
    ),
    "FW247": Explanation(
        title="The original model gives NaN or infinity.",
        why="Nothing can be compared with such outputs.",
        fix="With synthetic inputs: state the ranges the model was made for, or give data. With "
        "real data: the model or the data is at fault.",
        example="inputs:\n  audio: {low: -1, high: 1}",
    ),
}
