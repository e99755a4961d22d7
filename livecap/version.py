"""The version, without reading the package's metadata: `livecap --version` answers at once."""

VERSION = "0.1.0"
