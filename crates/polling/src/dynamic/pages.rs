//! What a pollster reads at one place, page by page.

use serde_json::Value as Json;

use super::answer;
use super::asker::{self, Address, Asker, Data, Place, Trouble};
use super::definition::Definition;
use super::template::Variables;

/// What has more pages than that goes in circles.
const MAX_PAGES: usize = 100_000;

/// What comes next.
enum Next {
    Page(Address),
    /// A page said where the next one is, in a way that cannot be followed.
    Broken(String),
    End,
}

/// Pages of entries.
pub(super) struct Pages<'a> {
    asker: &'a Asker,
    definition: &'a Definition,
    place: &'a Place,
    begin: Address,
    next: Next,
    read: usize,
    is_kept: bool,
}

impl<'a> Pages<'a> {
    /// What `definition` reads at `place`. Answers are kept where it is extra metadata.
    pub(super) fn begin(
        asker: &'a Asker,
        definition: &'a Definition,
        place: &'a Place,
        variables: &Variables<'_>,
        is_kept: bool,
    ) -> Result<Self, Trouble> {
        let begin = asker::first(definition, place, variables)?;
        Ok(Self { asker, definition, place, next: Next::Page(begin.clone()), begin, read: 0, is_kept })
    }

    /// The entries of the next page; nothing behind the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Json>>, Trouble> {
        let address = match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return Ok(None),
            Next::Broken(reason) => return Err(Trouble::Failed(reason)),
            Next::Page(address) => address,
        };
        self.read += 1;
        if self.read > MAX_PAGES {
            return Err(Trouble::Failed("it has no last page".to_owned()));
        }
        let data = self.asker.data(self.definition, self.place, &address, self.is_kept).await?;
        let seen = match &data {
            Data::Own(data) => data,
            Data::Kept(data) => data.as_ref(),
        };
        if answer::is_empty(seen)? {
            return Ok(None);
        }
        self.next = self.behind(seen, &address);
        let data = match data {
            Data::Own(data) => data,
            Data::Kept(data) => (*data).clone(),
        };
        Ok(Some(answer::entries(self.definition, data)?))
    }

    fn behind(&self, data: &Json, address: &Address) -> Next {
        let next = answer::next_page(self.definition, data);
        let next = next.and_then(|next| {
            next.map(|next| asker::next(self.definition, self.place, &self.begin, &next)).transpose()
        });
        match next {
            Ok(None) => Next::End,
            Ok(Some(next)) if next.text == address.text => {
                Next::Broken("a page says that it is the next one itself".to_owned())
            }
            Ok(Some(next)) => Next::Page(next),
            Err(reason) => Next::Broken(reason),
        }
    }
}
