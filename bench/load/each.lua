-- One request for each path of a list, with one body: wrk -s each.lua URL -- METHOD PATHS [BODY].
-- Prints its summary as one JSON line. A list that is too short ends in answers of 404.
require("summary")
local paths = {}
local place = 0

function init(args)
  local body
  if args[3] then
    local file = assert(io.open(args[3], "rb"))
    body = file:read("*a")
    file:close()
  end
  local headers = { ["Host"] = wrk.headers["Host"], ["Content-Type"] = "application/json" }
  for path in io.lines(args[2]) do
    paths[#paths + 1] = wrk.format(args[1], path, headers, body)
  end
  beyond = wrk.format(args[1], "/no-path-is-left", headers, body)
end

function request()
  place = place + 1
  return paths[place] or beyond
end
