"""The activity log: each call of the API and each act of the operator, as a CloudTrail record.

`heard` collects what the dispatcher hears, `record` writes it down, `pending` keeps it sealed until
`batcher` takes it into the lake and with it into the transparency log; `reading` gives it back.
docs/activity.md says what a user may rely on, docs/adr/0014 why it is made so.
"""
