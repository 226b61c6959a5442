return require "_job" {
  file = "bills/march.txt", text = "rent = 840\npower = 61.90\nphone = 19.99\nwater = 33\n",
  sum = "What do the bills in bills/march.txt come to?", expression = "840 + 61.90 + 19.99 + 33", total = "954.89", report = "bills/sum.txt",
}
