"""What makes, serves, grades and trains the course; students' notebooks never import it."""
