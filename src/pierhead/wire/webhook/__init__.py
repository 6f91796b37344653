"""What git servers send when something was pushed: GitHub, GitLab, Gitea and Forgejo, and a plain signed form.

Two steps, in this order: `signature.check` says that the sender knows the secret, `payload.read` what was sent.
"""
