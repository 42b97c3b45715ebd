"""What people do with mails that they got: confirm an address, choose a new password, say that it was not them."""
