"""What Streamlit serves to the browser besides its own: our modules, plotly.js."""

from pathlib import Path

from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest


def serve(folders: dict[str, Path]) -> None:
    """Serve each folder below ``_stcore/bidi-components/pahq.<name>``."""
    manager = get_bidi_component_manager()
    for name, folder in folders.items():
        if manager.get_component_asset_root(f"pahq.{name}") is None:
            parts = [ComponentConfig(name, folder.name)]
            manager.register_from_manifest(ComponentManifest("pahq", "1", parts), folder.parent)
