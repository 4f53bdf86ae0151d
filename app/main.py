"""The app's entry: navigation only. ``streamlit run app/main.py``."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
PAGES = [
    st.Page("views/discover.py", title="Discover", icon=":material/hub:", default=True),
    st.Page("views/compare.py", title="Compare", icon=":material/compare_arrows:"),
]

st.set_page_config(page_title="pahq", page_icon=str(HERE / "static/icon.svg"), layout="wide")
st.logo(str(HERE / "static/logo.svg"), size="large")
st.html(HERE / "static/chrome.css")
st.navigation(PAGES, position="top").run()
