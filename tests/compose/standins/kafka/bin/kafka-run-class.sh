#!/bin/bash
# kafka-run-class.sh CLASS [ARGUMENT...]: with the options that the real script takes from the same variables.
# shellcheck disable=SC2086  # these variables hold several words each
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC} -Djava.awt.headless=true \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_LOG4J_ROOT_LOGLEVEL:-warn} -Dorg.slf4j.simpleLogger.showDateTime=true \
    ${KAFKA_OPTS:-} -cp '/opt/kafka/libs/*' "$@"
