/* Terminals that stand in the way of a dump, by what is wrong with them. */
#ifndef TEST_REFUSAL_WITNESS_TERMINALS_H_
#define TEST_REFUSAL_WITNESS_TERMINALS_H_

/* Nothing when there is no such thing. */
void HoldTerminal(const char* what);

#endif /* TEST_REFUSAL_WITNESS_TERMINALS_H_ */
