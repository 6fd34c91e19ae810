"""The worked example: tell red points from blue ones while the data's scale shifts. Start with `data` and
`training`.
"""
