# The way of the plugin for vagrant: net/http, version, info, creation, a job's error by
# position, start, removal.
require "json"
require "net/http"
require "openssl"

url = URI(ENV["RAPI_URL"])
HTTP = Net::HTTP.new(url.host, url.port)
HTTP.use_ssl = true
HTTP.ca_file = ENV["CACERT"]

def ask(kind, path, body = nil)
  request = kind.new(path, "Content-Type" => "application/json")
  request.basic_auth(ENV["RAPI_USER"], ENV["RAPI_PASSWORD"])
  request.body = body.to_json if body
  answer = HTTP.request(request)
  [answer.code, JSON.parse(answer.body)]
end

def follow(answer)
  raise "no job: #{answer}" unless answer[0] == "200" && answer[1].is_a?(Integer)
  loop do
    job = ask(Net::HTTP::Get, "/2/jobs/#{answer[1]}")[1]
    return job if %w[success error canceled].include?(job["status"])
    sleep 0.05
  end
end

raise "version" unless ask(Net::HTTP::Get, "/version")[1] == 2
raise "name" unless ask(Net::HTTP::Get, "/2/info")[1]["name"] == "cluster.example.com"
body = { "__version__" => 1, "mode" => "create", "instance_name" => "ruby.example.com",
         "os_type" => ENV["RAPI_OS"], "pnode" => "node1.example.com",
         "disk_template" => "file", "disks" => [{ "size" => "1024" }],
         "nics" => [{}], "start" => false }
raise "create" unless follow(ask(Net::HTTP::Post, "/2/instances", body))["status"] == "success"
again = follow(ask(Net::HTTP::Post, "/2/instances", body))
raise "code" unless again["opresult"][0][1][1] == "already_exists"
started = follow(ask(Net::HTTP::Put, "/2/instances/ruby.example.com/startup"))
raise "start" unless started["status"] == "success"
raise "remove" unless follow(ask(Net::HTTP::Delete, "/2/instances/ruby.example.com"))["status"] == "success"
puts "a whole life"
