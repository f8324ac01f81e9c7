-- The simulated card payments of the Fraud Detection Handbook
-- (https://fraud-detection-handbook.github.io), as orders, and what was fraud as chargebacks seven days later:
-- by then it is known.
--
--   rapport rules backtest --sql examples/cards_judged.sql --set file=transactions.parquet \
--       --rules examples/cards_fraud --judge-from 2018-08-08 --judge-until 2018-08-15 \
--       --outcome order.chargeback --within 8d --units order.placed
--
-- The book judges the week from 2018-08-08 and leaves out cards that were known to be compromised: those with
-- a fraud from 2018-07-25 up to eight days before the payment. Their payments have no order_id here, so that
-- they fill profiles and are not judged.
WITH payments AS (
    SELECT
        *,
        coalesce(max(TX_DATETIME) FILTER (WHERE TX_FRAUD = 1 AND TX_DATETIME >= TIMESTAMP '2018-07-25') OVER (
            PARTITION BY CUSTOMER_ID
            ORDER BY CAST(TX_DATETIME AS DATE)
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 8 DAYS PRECEDING
        ), TIMESTAMP 'epoch') > TIMESTAMP 'epoch' AS is_known
    FROM read_parquet($file)
)
SELECT
    CAST(TRANSACTION_ID AS VARCHAR) AS id,
    'order' AS type,
    'placed' AS action,
    CUSTOMER_ID AS customer_id,
    TX_DATETIME AS timestamp,
    TX_AMOUNT AS amount,
    TERMINAL_ID AS terminal,
    CASE WHEN is_known THEN NULL ELSE CAST(TRANSACTION_ID AS VARCHAR) END AS order_id
FROM payments
UNION ALL
SELECT
    CAST(TRANSACTION_ID AS VARCHAR) || '-chargeback',
    'order',
    'chargeback',
    CUSTOMER_ID,
    TX_DATETIME + INTERVAL 7 DAYS,
    TX_AMOUNT,
    TERMINAL_ID,
    CASE WHEN is_known THEN NULL ELSE CAST(TRANSACTION_ID AS VARCHAR) END
FROM payments
WHERE TX_FRAUD = 1
ORDER BY timestamp, id
