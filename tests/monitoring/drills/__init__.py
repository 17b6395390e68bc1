"""The drills: for each alert, the fault, the page that is followed, and the time that it took."""
