return require "_job" {
  file = "scores.txt", text = "- Ada: 412\n- Bo: 97\n- Cyn: 255\n- Dev: 180\n- Eli: 36\n",
  sum = "read scores.txt and tell me the sum of all the points", expression = "412 + 97 + 255 + 180 + 36", total = "980", report = "result.txt",
}
