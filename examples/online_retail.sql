-- UCI Online Retail (https://archive.ics.uci.edu/dataset/352): invoice lines as orders and returns.
--
--   rapport replay --sql examples/online_retail.sql --set file=online_retail.parquet
--
-- One invoice is one event at its first line's time, with the summed amount of its lines.
-- An invoice "C…" is a return; its amount is positive, as every refund's is. What was bought for
-- nothing or in no quantity (samples, corrections) is not bought. Prices are summed as decimals,
-- so that the totals are exact.
--
-- Lines without a customer are left out of the orders. Of the returns some are the shop's own
-- (marketplace fees, bank charges, write-offs). The published total of returns counts them, so they
-- come as events of the customer "no-customer"; --set returns_without_customer=drop leaves them out.
WITH lines AS (
    SELECT
        InvoiceNo,
        InvoiceDate,
        Quantity,
        CAST(CAST(CustomerID AS BIGINT) AS VARCHAR) AS customer,
        starts_with(InvoiceNo, 'C') AS returned,
        Quantity * CAST(UnitPrice AS DECIMAL(18, 4)) AS amount
    FROM read_parquet($file)
)
SELECT
    InvoiceNo AS id,
    'order' AS type,
    IF(returned, 'returned', 'placed') AS action,
    coalesce(customer, 'no-customer') AS customer_id,
    min(InvoiceDate) AS timestamp,
    IF(returned, -sum(amount), sum(amount)) AS amount,
    abs(sum(Quantity)) AS items_count,
    InvoiceNo AS order_id,
    'GBP' AS currency
FROM lines
WHERE
    IF(
        returned,
        customer IS NOT NULL
        OR coalesce(getvariable('returns_without_customer'), 'keep') <> 'drop',
        customer IS NOT NULL AND amount > 0 AND Quantity > 0
    )
GROUP BY InvoiceNo, returned, customer
ORDER BY timestamp, id
