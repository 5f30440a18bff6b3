"""The environment: enough to repeat the run, nothing that names a person or a machine."""

from __future__ import annotations

import getpass
import platform
from importlib import metadata
from pathlib import Path

from fitwright.deliver.environment import describe_environment, requirements_of


def test_versions_come_from_the_installed_packages() -> None:
    described = describe_environment("fitwright fit x.onnx")
    assert described.packages["numpy"] == metadata.version("numpy")
    assert described.packages["onnxruntime"] == metadata.version("onnxruntime")
    assert described.python == platform.python_version()
    assert described.command == "fitwright fit x.onnx"
    assert described.num_cores >= 1
    assert described.memory_bytes > 1 << 28


def test_neither_host_user_nor_home_is_told() -> None:
    text = describe_environment("fitwright fit x.onnx").to_json()
    assert str(Path.home()) not in text
    host = platform.node()
    if len(host) > 3:  # shorter names occur inside ordinary words
        assert host not in text
    assert f'"{getpass.getuser()}"' not in text


def test_requirements_hold_the_package_and_what_it_needs_but_no_extra() -> None:
    needed = requirements_of("jinja2")
    assert needed == ("jinja2", "markupsafe")


def test_an_unknown_package_needs_nothing() -> None:
    assert requirements_of("no-such-package-anywhere") == ()
