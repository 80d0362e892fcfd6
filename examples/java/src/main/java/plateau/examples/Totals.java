package plateau.examples;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import plateau.stream.v1.Acceptance;

/** Sums per draft version. Adding a record twice counts it twice, so ids are remembered. */
final class Totals {
  private static final int REMEMBERED_IDS = 100_000;

  private static final class Sum {
    long drafts;
    long draftTokens;
    long acceptedTokens;
    double alphaSum;
    long alphaPositions;
  }

  private final Map<String, Sum> sums = new TreeMap<>();
  private final Map<String, Boolean> recentIds =
      new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Boolean> eldest) {
          return size() > REMEMBERED_IDS;
        }
      };

  boolean hasSeen(String id) {
    return recentIds.containsKey(id);
  }

  void add(String id, Acceptance acceptance) {
    recentIds.put(id, true);
    Sum sum = sums.computeIfAbsent(acceptance.getDraftVersion(), version -> new Sum());
    sum.drafts += acceptance.getNumDrafts();
    sum.draftTokens += acceptance.getNumDraftTokens();
    sum.acceptedTokens += acceptance.getNumAcceptedTokens();
    sum.alphaSum += acceptance.getAlphaSum();
    sum.alphaPositions += acceptance.getAlphaPositions();
  }

  /** The formulas are the topic page's. A version that proposed nothing has no rate. */
  void print() {
    sums.forEach(
        (version, sum) ->
            System.out.println(
                "{\"draft_version\":\"" + version + "\",\"drafts\":" + sum.drafts
                    + ",\"draft_tokens\":" + sum.draftTokens
                    + ",\"accepted_tokens\":" + sum.acceptedTokens
                    + ",\"acceptance_rate\":" + ratio(sum.acceptedTokens, sum.draftTokens, 0)
                    + ",\"mean_acceptance_length\":" + ratio(sum.acceptedTokens, sum.drafts, 1)
                    + ",\"mean_alpha\":" + ratio(sum.alphaSum, sum.alphaPositions, 0) + "}"));
  }

  private static String ratio(double of, long over, int plus) {
    return over == 0 ? "null" : String.format(Locale.ROOT, "%.6f", plus + of / over);
  }
}
