-- The simulated card payments of the Fraud Detection Handbook
-- (https://fraud-detection-handbook.github.io), as orders.
--
--   rapport replay --sql examples/cards.sql --set file=transactions.parquet \
--       --rules examples/cards_rules --features features.parquet
--
-- Optional: --set until=2018-07-01 takes the payments before that day only.
SELECT
    TRANSACTION_ID AS id,
    'order' AS type,
    'placed' AS action,
    CUSTOMER_ID AS customer_id,
    TX_DATETIME AS timestamp,
    TX_AMOUNT AS amount,
    TERMINAL_ID AS terminal
FROM read_parquet($file)
WHERE TX_DATETIME < coalesce(CAST(getvariable('until') AS TIMESTAMP), TIMESTAMP 'infinity')
ORDER BY TX_DATETIME, TRANSACTION_ID
