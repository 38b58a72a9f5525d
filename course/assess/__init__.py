"""The assessment: a submission is received, stored and judged, and a pass earns a signed certificate.

=================  ============================================================================================
module             contents
=================  ============================================================================================
`api`              `POST /run_assessment` and the other routes
`parcel`           unpacks the records and pictures in a request (zip, base64 or folder), safely
`submissions`      the database: it stores a submission before it is judged; a runner locks the one it judges
`runner`           the one thread that judges the submissions waiting in the database
`certificate`      the certificate: a signed token, a picture of it, verification
=================  ============================================================================================

A submission passes down that table and its answer comes back up. The criteria are in `helpers.assessment`, which
notebook 07 uses, too.
"""
