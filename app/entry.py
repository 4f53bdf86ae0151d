"""Every page is reached through main.py, also by a link to it on a server that has just begun."""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def through_main() -> None:
    """Begin again with main.py if Streamlit has run a page by itself.

    It takes a folder called ``pages`` for its older kind of pages until the first
    ``st.navigation``, so that a page's own address would show it without the app around it.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
