"""FW300 and up: what is missing, failed or stopped, and bugs. Exit codes 4, 1, 5 and 70."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.explain.explanation import Explanation

_GOES_ON = "Inside a run this is recorded with the trial and the run goes on."

RUNNING: Mapping[str, Explanation] = {
    "FW300": Explanation(
        title="No backend is installed.",
        why="A backend runs models. ONNX Runtime comes with Fitwright, OpenVINO as an extra.",
        fix="Install one and look at `fitwright doctor`.",
        example="pip install 'fitwright[openvino]'",
    ),
    "FW301": Explanation(
        title="The package behind a backend is not installed.",
        why="Every backend but ONNX Runtime is an optional extra of Fitwright.",
        fix="Install the extra that the message names.",
        example="pip install 'fitwright[openvino]'",
    ),
    "FW302": Explanation(
        title="LoadGen is not installed.",
        why="The contract asks for traffic by MLCommons LoadGen, an optional extra.",
        fix="Install it, or let Fitwright's own scheduler send the same traffic.",
        example="pip install 'fitwright[loadgen]'",
    ),
    "FW330": Explanation(
        title="No backend can run on the chosen device.",
        why="A plan needs at least one.",
        fix="Install one; `fitwright doctor` says what is missing.",
        example="pip install 'fitwright[openvino]'",
    ),
    "FW331": Explanation(
        title="An input or output has an element type that numpy cannot hold.",
        why="bfloat16, 8-bit floats, 4-bit integers and text would be handed over as something "
        "else, or not at all.",
        fix="Add a Cast to float32 at that input or output of the model.",
    ),
    "FW332": Explanation(
        title="A backend cannot honour a setting here.",
        why="Some settings exist in one backend only, some need an instruction set, some are "
        "lowered to what the machine has. Fitwright refuses instead of measuring something else.",
        fix="Leave the setting unset, or choose another backend.",
    ),
    "FW333": Explanation(
        title="A process cannot keep to cores of its own.",
        why="Pinned instances need a core each, and a system that lets a process choose.",
        fix="Ask for fewer instances, or set pinned=False.",
    ),
    "FW334": Explanation(
        title="This traffic cannot be sent to several instances.",
        why="LoadGen and the bursts of multi_stream live inside one process, so nothing would "
        "keep several processes in step.",
        fix="Use one instance with several streams.",
    ),
    "FW335": Explanation(
        title="This traffic cannot be sent to a model that takes several queries in a run.",
        why="Queries that come one by one would wait for others to fill the run, or the run "
        "would be wasted on one. Only in the offline scenario are all queries there.",
        fix="Use batch=1, or the offline scenario.",
    ),
    "FW400": Explanation(
        title="A trial raised an error.",
        why=f"The backend or the adaptation reported a fault in the child process. {_GOES_ON}",
        fix="Read the cause in the message; look at the original first if it is the one.",
    ),
    "FW401": Explanation(
        title="A trial crashed.",
        why=f"The child process ended by a signal such as a segmentation fault. {_GOES_ON}",
        fix="Report it to the backend's authors with the model and the settings of the trial.",
    ),
    "FW402": Explanation(
        title="A trial was killed from outside.",
        why="Someone, often the system when memory ran out, ended the child process. " + _GOES_ON,
        fix="Close other programs or use a smaller batch.",
    ),
    "FW403": Explanation(
        title="A trial took too long.",
        why=f"Every request to a child process has a limit in wall-clock time. {_GOES_ON}",
        fix="Give more time, or a smaller batch or shape.",
        example="fitwright fit contract.yaml --time 20m",
    ),
    "FW404": Explanation(
        title="A trial needed too much memory.",
        why=f"Every child process has a limit of resident memory. {_GOES_ON}",
        fix="Use a smaller batch or shape, or a machine with more memory.",
    ),
    "FW405": Explanation(
        title="A trial printed without end.",
        why=f"What a child process prints is bounded, so that it cannot fill the disk. {_GOES_ON}",
        fix="Silence the code that prints.",
    ),
    "FW406": Explanation(
        title="The outputs of a trial are too far from the original's.",
        why=f"Such a candidate is never timed, however fast it may be. {_GOES_ON}",
        fix="Nothing needs to be done; loosen 'agreement:' if the bound is too strict for you.",
        example="agreement: {relative_l2: 0.1, top1: 0.98}",
    ),
    "FW407": Explanation(
        title="The outputs of a trial hold NaN or infinity.",
        why=f"Lower precision can overflow where the original does not. {_GOES_ON}",
        fix="Nothing needs to be done; the candidate is dropped.",
    ),
    "FW410": Explanation(
        title="No candidate runs and agrees with the original.",
        why="Every backend failed on the original model itself, or gave other outputs than the "
        "reference run, so there is nothing to start from.",
        fix="Read the causes in the message and in the run's report; check the backends with "
        "`fitwright doctor`.",
    ),
    "FW440": Explanation(
        title="The best candidate so far died while another was compared with it.",
        why="It was reopened and died again. This is never held against the other candidate.",
        fix="Go on with the run; everything measured so far is kept. If it happens again, free "
        "memory or close other programs.",
        example="fitwright tune runs/digits-1",
    ),
    "FW520": Explanation(
        title="The disk is full.",
        why="Records are written whole or not at all, so everything finished so far is kept.",
        fix="Free some space and go on from the last trial.",
        example="fitwright tune runs/digits-1",
    ),
    "FW521": Explanation(
        title="The folder cannot be written.",
        why="A permission is missing, or a file stands where a folder should be. Runs are kept "
        "under ./runs unless told otherwise.",
        fix="Choose another folder or change its permissions.",
        example="fitwright fit contract.yaml --runs ~/runs",
    ),
    "FW900": Explanation(
        title="This is a bug in Fitwright.",
        why="Something happened that no message was written for.",
        fix="Run the same command with --debug and report what it prints, with the model or a "
        "small one that shows the same.",
        example="fitwright --debug fit contract.yaml",
    ),
}
