# Login shells (JupyterLab's terminals) begin with Debian's PATH: this gives them the image's.
PATH=/opt/venv/bin:$PATH:$HOME/.local/bin
export PATH
