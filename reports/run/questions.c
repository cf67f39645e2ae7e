/* questions: what the published experiments left open, answered where the runs of the report tell
 * something of it: the verdict, what was measured, and where it stands. */
#include "reports/run/sections.h"

static void evidence(struct doc *d, struct query *q)
{
    if (!query_int(q, "first"))
        doc_say(d, "; *");
    else if (d->page) /* one click away */
        doc_say(d, "\n  <details><summary>Evidence and source</summary>\n\n  Evidence, *");
    else
        doc_say(d, "  Evidence, *");
    doc_text(d, query_text(q, "place"));
    if (!query_int(q, "here"))
        doc_say(d, ", run `%s` (not in this report)", query_text(q, "run_id"));
    doc_say(d, ":* ");
    doc_text(d, query_text(q, "told"));
    if (!query_null(q, "agrees") && !query_int(q, "agrees"))
        doc_say(d, " (**which does not bear this out**)");
}

void find_questions(struct doc *d, const struct selection *runs)
{
    struct query q;
    bool any = false;

    if (!doc_ask(d, &q, "db/report/questions.sql", ":runs", runs->json))
        return;
    for (; query_row(&q); any = true) {
        if (!any)
            doc_say(d,
                    "%sWhat the published experiments left open. The message layer on Linux "
                    "carries out XNU's rules for purgeable memory: that it comes out the same is "
                    "by construction, and no evidence. Ordinary memory the layer shares in its own "
                    "way, out of the kernel's pages; GNU Mach is a real Mach; a fork is what Linux "
                    "does by itself.\n\n",
                    d->brief ? "" : "## Open questions of the published experiments\n\n");
        if (query_int(&q, "first")) {
            doc_say(d, "- **");
            doc_text(d, query_text(&q, "question"));
            doc_say(d, "** ");
            doc_text(d, query_text(&q, "verdict"));
            doc_say(d, "\n");
        }
        evidence(d, &q);
        if (query_int(&q, "last")) {
            doc_say(d, ". Source: ");
            doc_text(d, query_text(&q, "source"));
            doc_say(d, ".\n%s", d->page ? "\n  </details>\n" : "");
        }
    }
    if (any && !d->brief) /* there the list goes on */
        doc_say(d, "\n");
    doc_fail(d, query_close(&q));
}
