#!/bin/bash
# Healthy means that Squid answers a request, be it with a refusal. From this address it is not in the log.
exec 3<>/dev/tcp/127.0.0.1/3128 && printf 'GET http://127.0.0.1/ HTTP/1.0\r\n\r\n' >&3 && read -t 4 -r answer <&3 && [[ $answer == HTTP/* ]]
