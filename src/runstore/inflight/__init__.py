"""What the database did not take yet: kept aside in the spool, and taken in later."""
