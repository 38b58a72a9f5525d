"""Grading: the student's code and its judge are two processes; `course grade` grades a whole class.

Modules, in reading order:
    `wire`, `forms`, `packing`, `unpacking`, `library`   messages, and what crosses by value
    `stubs`, `judge_end`, `student_end`                  calls both ways
    `cells`, `plan`, `student`, `feedback`, `judge`      running and judging a notebook's cells
    `sandbox`, `warm`, `zygote`, `grader`                one submission → its result, in forks of a warm process
    `workers`                                            this computer or a cluster: many tasks → their results
    `reading`, `likeness`, `repair`, `found`             files of every kind → notebooks that can be graded
    `book`, `run`                                        a folder of submissions → nbgrader's gradebook
    `tokens`, `report`, `desk`, `web`                    a notebook sent over HTTP → its report
"""
