return require "_job" {
  file = "hours.md", text = "Monday 7.5\nTuesday 8\nWednesday 6.25\nThursday 9\n",
  sum = "Add up the hours in hours.md", expression = "7.5 + 8 + 6.25 + 9", total = "30.75", report = "week.md",
}
