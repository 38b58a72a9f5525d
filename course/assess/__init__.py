"""The assessment: a submission comes in, is kept, is judged, and on a pass earns a signed certificate.

=================  ============================================================================================
module             what lives there
=================  ============================================================================================
``api``            ``POST /run_assessment`` and what else a client may ask
``parcel``         records and pictures out of a request: a zip, base64 or a folder, safely
``submissions``    the database: a submission is in it before it is judged, and a runner locks the one that it judges
``runner``         the one thread that judges what waits in the database
``certificate``    the certificate: a signed token, a picture of it, verifying
=================  ============================================================================================

A submission goes down that table and its answer comes up again. By what it is judged stands in `helpers.assessment`, which
notebook 07 uses, too.
"""
