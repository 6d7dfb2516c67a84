//! What the toy has read: all it can say comes from here. Written for this project, in the plainest words, with phrases
//! that come again so that one sentence may turn into another halfway.

pub(super) const TEXT: &str = "
Along the coast there is a row of small lanterns, and in every lantern there is a keeper. No keeper is the first among
them. When a ship calls in the fog, the nearest lantern answers, and the other lanterns hear the answer. A lantern that
hears the call and has no oil says so at once, and the ship turns to the next light. This is how the coast stays bright,
though no one rules it.

The keeper of the north light writes down every hour that the lamp burns. The keeper of the south light does the same,
and at the end of the week the two books are laid side by side. If the books agree, the harbour pays for the oil. If the
books do not agree, the harbour asks the ship, for the ship has a book as well. A book with three readers is hard to
bend. An honest keeper sleeps well, and an honest book is short.

Once a storm put out half of the lights. The keepers did not wait for an order. Each keeper looked for the nearest light
that still burned, and told it what the sea was doing. By the morning every light knew what the others knew, and the
ships had lost no more than an hour. The storm had learned nothing, but the keepers had.

There is a laboratory on the hill above the harbour. In the laboratory a patient woman builds a small sea in a basin,
with small ships and small lights. She can stop the wind and start it again, and the same wind always makes the same
waves. When a ship is lost in the basin, she turns the wind back and looks again. So she finds the fault before the sea
does. The keepers come up the hill in the evening and watch the small ships, and they go home with new ideas.

A new keeper came to the coast with a borrowed lamp. The others did not know the keeper, so they gave the lamp a small
stretch of water and watched. Night after night the lamp burned, and the small stretch of water became a wide one. Trust
is a slow oil, said the keeper of the north light, but it burns for a long time.

What does a lantern cost? It costs the oil, the wick and the hours of the keeper. The harbour takes a little for the
counting, and the one who called the ship takes a little for the calling. The rest goes to the keeper whose lamp burned.
Nothing is left over but a grain of salt, and even the grain of salt is written down.

Some ships are slow to read the light. Then the keeper turns the lamp down and waits, for there is no use in sending more
light than the ship can see. When the ship is ready, the lamp is turned up again, and nothing that was said is lost. A
ship that sails away in the dark is let go, and the oil is kept for the next one.

The gulls carry the news from light to light. A gull that tells an old story is sent away politely, because the newer
story has a higher number on its ring. Nobody knows all the news, and nobody has to. It is enough that every story reaches
every light before the tide turns.

One winter a man sold false oil to the lights. The lamps burned for a minute and went out. The keepers marked the man in
their books, and the gulls carried the mark along the coast. After a week no lantern bought his oil, and no law had to be
written. The sea is wide, but the coast is a small town.

At night the patient woman writes a letter to the keepers. The basin is only water, says the letter, and the ships are
only wood. But the waves in the basin and the waves of the sea follow the same rule, and a rule can be trusted where a
promise can not. Keep the lamp clean, keep the book open, and answer when a ship calls. The morning comes along the coast
from light to light, and every keeper sees it a little earlier than the next.
";
