"""Where trials run: slots of this machine, and nodes of a cluster. Exit codes 2 and 4."""

from __future__ import annotations

from collections.abc import Mapping

from fitwright.explain.explanation import Explanation

PLACING: Mapping[str, Explanation] = {
    "FW153": Explanation(
        title="There are fewer cores than measuring slots.",
        why="What is measured at the same time must not share a core, and cores set aside for "
        "other work measure nothing.",
        fix="Ask for fewer slots. With one slot, which is the default, other work stands still "
        "during a measurement.",
    ),
    "FW154": Explanation(
        title="No executor has this name.",
        why="Trials run on this machine (local) or on the nodes of a Ray cluster (auto, "
        "ray:HOST:PORT, ray://HOST:PORT). After a # comes the label of the hardware.",
        fix="Correct the value of --executor.",
        example="fitwright fit contract.yaml --executor ray:10.0.0.5:6379#edge-8",
    ),
    "FW303": Explanation(
        title="Ray is not installed.",
        why="Nodes of a cluster are reached through Ray, which is an optional extra. Addresses "
        "that begin with ray:// need its client as well.",
        fix="Install it, here and on every node.",
        example="pip install 'fitwright[ray]'",
    ),
    "FW304": Explanation(
        title="No Ray cluster answers.",
        why="Fitwright uses a cluster that runs already and never starts one.",
        fix="Start a head with a token, and a node for each machine, labelled by its hardware.",
        example="ray start --head; ray start --address HOST:6379 --resources "
        """'{"fitwright_device:edge-8": 1}'""",
    ),
    "FW305": Explanation(
        title="The Ray cluster refuses this driver.",
        why="Whoever reaches a cluster can run code on it, so Fitwright asks for token "
        "authentication. The token is missing here, or is not the cluster's.",
        fix="Copy the token of the cluster into ~/.ray/auth_token, or name it in the environment.",
        example="RAY_AUTH_TOKEN_PATH=token fitwright fit contract.yaml --executor auto",
    ),
    "FW306": Explanation(
        title="No node for this hardware is free.",
        why="A node carries its label as the custom resource fitwright_device:LABEL of amount 1, "
        "so that no two runs measure on it at once.",
        fix="Label a node, wait for the other run, or choose one of the labels in the message.",
    ),
}
