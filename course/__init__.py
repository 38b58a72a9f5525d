"""Builds, serves and grades the course, and trains its models; students' notebooks never import it."""
