"""From scores to actions: parses, compiles and evaluates rules, as pure functions of values.

What a rule file meets, in order:
    load        files to a set of rules, or every mistake in them (errors)
    position    where in a file each key and value stands
    definition  one rule's table (rule: what it becomes); template: its reason
    parse       text to a syntax tree (grammar.lark, tree, syntax, duration)
    check       a syntax tree to an expression whose types fit (vocabulary, reading, operation, expression)
    ruleset     the rules together
    compile     expressions to registers of the plan
What an event meets:
    evaluate    which rules fire, and with which values
    action      what is to be done
What a reader meets:
    spell       expressions in the language
    explain     rules in English
    packs/      starter rules
"""
