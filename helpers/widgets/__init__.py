"""What every widget is made of: all arithmetic runs in the browser, without a kernel."""
