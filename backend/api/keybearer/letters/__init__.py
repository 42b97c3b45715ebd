"""Links that mails carry, the notices that carry one, and what is asked for and answered by mail alone."""
