//! What many things have in common, in memory once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// So many are kept before it is looked at whether anybody still has them.
const FEW: usize = 64;

/// Equal values that are shared. Those that nobody has any more are forgotten.
pub(crate) struct Pool<T: ?Sized>(Mutex<Kept<T>>);

struct Kept<T: ?Sized> {
    values: HashSet<Arc<T>>,
    /// When there are so many, it is looked through.
    limit: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Kept { values: HashSet::new(), limit: FEW }))
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// `value` as others have it.
    pub(crate) fn share(&self, value: &T) -> Arc<T>
    where
        T: ToOwned,
        Arc<T>: From<T::Owned>,
    {
        let kept = &mut *self.0.lock();
        if let Some(known) = kept.values.get(value) {
            return Arc::clone(known);
        }
        if kept.values.len() >= kept.limit {
            kept.values.retain(|value| Arc::strong_count(value) > 1);
            kept.limit = FEW.max(kept.values.len() * 2);
        }
        // A copy is as large as it must be.
        let value = Arc::from(value.to_owned());
        kept.values.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_and_unused_ones_go() {
        let pool = Pool::<str>::default();
        let kept = pool.share("kept");
        assert!(Arc::ptr_eq(&kept, &pool.share("kept")));
        for number in 0..10 * FEW {
            pool.share(&number.to_string());
        }
        assert!(pool.0.lock().values.len() <= FEW);
        assert!(Arc::ptr_eq(&kept, &pool.share("kept")));
    }
}
