"""The catalogue's own files, read fast: every scalar stays text.

PyYAML's constructors take more time than its parser. What the records read from text anyway
needs none of them, and a choice over the catalogue starts that much sooner.
"""

from __future__ import annotations

from typing import Any

import yaml

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def plain_yaml(text: str) -> Any:
    """What `yaml.BaseLoader` makes of a document: mappings, lists and text."""
    return _plain(yaml.compose(text, Loader=_Loader))


def _plain(node: yaml.Node | None) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value if node is not None else None
