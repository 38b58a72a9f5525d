"""The assessment: a submission comes in, is kept, is judged, and on a pass earns a signed certificate.

=================  ============================================================================================
module             what lives there
=================  ============================================================================================
``api``            ``POST /run_assessment`` and what else a client may ask
``parcel``         records and pictures out of a request: a zip, base64 or a folder, safely
``ledger``         the database: a submission is in it before it is judged
``runner``         the one thread that judges, and the queue before it
``judge``          the criteria, their points, and when a submission passes
``case``           a submission with its pictures opened, as the criteria read it
``words``          criterion: prompts that differ, about the subject; what a text says
``sight``          criteria: pictures that are there and differ; texts and pictures that fit
``redraw``         criterion: provenance, with a sample of the pictures drawn again
``certificate``    the certificate: drawn, signed, verified
=================  ============================================================================================

A submission goes down that table and its answer comes up again.
"""
