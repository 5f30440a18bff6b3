"""OpenVINO and NNCF."""
