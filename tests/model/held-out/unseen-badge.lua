local expect = require "hearth.expect"
local kit = require "_kit"

return {
  kind = "unseen tools",
  own_tools = {
    badge_grant = kit.tool("badge_grant", "Let a person into a zone of the building.",
      { { "person", "string", "Name of the person" }, { "zone", "string", "Name of the zone" } },
      "    return ('%s may enter %s, badge 5083'):format(args.person, args.zone)"),
    badge_revoke = kit.tool("badge_revoke", "Keep a person out of a zone of the building.",
      { { "person", "string", "Name of the person" }, { "zone", "string", "Name of the zone" } }, "    return 'revoked'"),
  },
  tools = { "badge_grant", "badge_revoke" },
  turns = { "Let Dagny Holm into the zone archive." },
  check = expect.all {
    expect.called("badge_grant", { person = "Dagny Holm", zone = "archive" }), expect.not_called("badge_revoke"), expect.answer(),
  },
  replies = { { "badge_grant", { person = "Dagny Holm", zone = "archive" } }, "Dagny Holm may enter the archive." },
}
