"""Drawing lines with matplotlib and plotly; loaded when something is drawn."""
