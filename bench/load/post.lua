-- POSTs one body again and again: wrk -s post.lua URL -- FILE. Prints its summary as one JSON line.
require("summary")

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  wrk.headers["Content-Type"] = "application/json"
  file:close()
  request_bytes = wrk.format()
end

function request()
  return request_bytes
end
