<?php
// LibreNMS's way: file_get_contents with the credentials in the URL and the check of the
// certificate off; then control-center's: curl, numbers as strings, a PUT without a body.
$host = substr(getenv("RAPI_URL"), strlen("https://"));
$user = getenv("RAPI_USER") . ":" . getenv("RAPI_PASSWORD");
$context = stream_context_create(["ssl" => ["verify_peer" => false, "verify_peer_name" => false]]);
$found = json_decode(file_get_contents("https://$user@$host/2/instances?bulk=1", false, $context), true);
foreach ($found as $one) {
    if (!is_string($one["status"]) || !is_int($one["beparams"]["memory"])) {
        exit("an instance without status or memory: " . json_encode($one) . "\n");
    }
}

function ask($method, $path, $body = null) {
    global $host, $user;
    $curl = curl_init("https://$host$path");
    curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_USERPWD => $user, CURLOPT_CAINFO => getenv("CACERT"),
        CURLOPT_HTTPHEADER => ["Content-Type: application/json"]]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body));
    }
    $answer = json_decode(curl_exec($curl), true);
    return [curl_getinfo($curl, CURLINFO_HTTP_CODE), $answer];
}

function follow($answer) {
    if ($answer[0] !== 200 || !is_int($answer[1])) exit("no job: " . json_encode($answer) . "\n");
    do {
        usleep(50000);
        $job = ask("GET", "/2/jobs/$answer[1]")[1];
    } while (!in_array($job["status"], ["success", "error", "canceled"]));
    if ($job["status"] !== "success") exit(json_encode($job["opresult"]) . "\n");
}

follow(ask("POST", "/2/instances", ["__version__" => 1, "mode" => "create",
    "name" => "php.example.com", "os_type" => getenv("RAPI_OS"), "pnode" => "node1.example.com",
    "disk_template" => "file",
    "beparams" => ["memory" => "128", "vcpus" => "1"], "disks" => [["size" => "1024"]],
    "nics" => [["link" => "br0"]]]));
follow(ask("PUT", "/2/instances/php.example.com/shutdown"));
follow(ask("PUT", "/2/instances/php.example.com/tags?tag=a&tag=b"));
if (ask("GET", "/2/instances/php.example.com")[1]["tags"] !== ["a", "b"]) exit("no tags\n");
follow(ask("DELETE", "/2/instances/php.example.com"));
echo "read ", count($found), "\n";
