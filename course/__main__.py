"""`python -m course` is the same as the console script `course`."""

from course.cli import app

app(prog_name="course")
