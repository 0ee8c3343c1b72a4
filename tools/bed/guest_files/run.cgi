#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run the body of a POST as a shell script: curl --data-binary 'free -m' http://ADDRESS/cgi-bin/run
printf 'Content-Type: text/plain\r\n\r\n'
head -c "${CONTENT_LENGTH:-0}" > "/tmp/$$.sh"
sh "/tmp/$$.sh" 2>&1
echo "exit status $?"
rm -f "/tmp/$$.sh"
