-- Cases for `hearth tool test examples/tools/count_words.lua`.
return {
  { name = "counts words", args = { text = "one two  three" }, expect = "3" },
  { name = "an empty text has none", args = { text = "" }, expect = "0" },
  { name = "wants a text", args = {}, error = "text" },
}
