/* A function, but in no section of its own. */
int helper(int n)
{
    return n + 1;
}
