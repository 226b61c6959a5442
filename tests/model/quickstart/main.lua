return require "_job" {
  file = "prices.txt", text = "bread: 3.20\nmilk: 1.15\ncheese: 7.80\n",
  sum = "read prices.txt and add up the prices", expression = "3.20 + 1.15 + 7.80", total = "12.15", report = "report.txt",
}
