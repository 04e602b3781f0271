"""Figures of the paper: one public function each; its name is the figure's id, its docstring the caption."""
