"""Records -> tables, plots, a page, comparisons, and a gate.

Rooms, from the top; imports go down this list only:

    cli             the commands ``vtab leaderboard``, ``vtab compare`` and ``vtab gate``
    plugin          the leaderboard as a report, for study files of the harness
    pytest_plugin   the gate as a marker and a fixture
    leaderboard     a folder with all that one table gives, made anew where anything changed
    page            the table as one HTML file
    plots           a module for each plot
    exports         a module for each file format
    gate            did a backbone get worse than its baseline
    compare         is A better than B
    board           the scores of one table, and what is computed from them
    published       results of papers, for reference
    statistics      intervals, tests, ranks: arrays in, arrays out
    records         the only reader of records
    text            names that may hold anything, made harmless for each format
"""
